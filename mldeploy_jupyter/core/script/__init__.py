"""Entry scripts as source: parsed, checked, mapped to the notebook cell they came from."""
