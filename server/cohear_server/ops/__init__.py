"""Operating the server: metrics, the dashboard's data, and the start and end of the process."""
