"""What sessions and programs come through: WebRTC, captions, feeds, the history."""
