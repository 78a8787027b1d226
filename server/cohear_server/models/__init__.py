"""Which models there are, where their weights are, and whether they are the right ones. No model is loaded here."""
