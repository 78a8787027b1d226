"""Operating the server: metrics, the dashboard's data, API keys and the gate that asks for them."""
