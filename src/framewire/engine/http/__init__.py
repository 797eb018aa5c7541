"""The one port: page, WebSocket, and who may come in. The only room that knows aiohttp."""
