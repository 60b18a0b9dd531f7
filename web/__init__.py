"""The HTTP server: routes, access control, settings, the page, and the process that serves them."""
