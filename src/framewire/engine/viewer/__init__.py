"""One viewer: its session, its transport, its peer connection, and how it is admitted.

For another transport, write a `transport.Transport` (`websocket` has one) and give it to `Engine.accept`.
For another kind of authentication, write an `admission.Authorizer` and give it to `Engine`.
"""
