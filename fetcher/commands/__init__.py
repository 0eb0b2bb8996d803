"""The commands, a file a group of them. Each imports what is heavy inside its function."""
