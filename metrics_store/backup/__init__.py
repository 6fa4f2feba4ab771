"""Copies of a store: made, verified, kept as long as the rules say, and restored."""
