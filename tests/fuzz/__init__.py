"""Generated input for everything that strangers can send: SDP, data-channel messages, HTTP."""
