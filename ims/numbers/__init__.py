"""Norwegian numbers, one documented module per kind; each has `is_valid` and says where its rule comes from."""
