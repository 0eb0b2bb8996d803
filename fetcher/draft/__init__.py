"""A first job file, drafted from an address or a curl command, and from what one polite request has taught."""
