"""The looks: numbers, tables and JSON as they are written to a terminal or a pipe."""
