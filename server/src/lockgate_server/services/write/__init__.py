"""What changes the state of an app: the only room that signs."""
