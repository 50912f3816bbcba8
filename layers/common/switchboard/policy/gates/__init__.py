"""One file per gate. A new gate is a new file here and its test; nothing else changes."""
