"""One port: the page, the WebSocket, and which requests are answered. The only room that knows aiohttp."""
