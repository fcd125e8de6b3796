"""Public test doubles: a scripted client, a fake target. Nothing in the server itself imports these."""
