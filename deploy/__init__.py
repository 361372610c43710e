"""How imsfeed is put together and run: the commands, the local stack, schemas, containers, dashboards."""
