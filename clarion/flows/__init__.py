"""The flow columns: schema, normalisation to it, and the text of addresses."""
