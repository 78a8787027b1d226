"""Who may do what: keys, tokens, and the gate that checks them."""
