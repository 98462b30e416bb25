"""The server of the page that measures in a browser."""
