"""How imsfeed is run: the commands, the demo, the local servers, schemas, containers, monitoring. Imports everything.

* :mod:`deploy.cli`, :mod:`deploy.commands` - the command `imsfeed` and its subcommands, one module for each concern
* :mod:`deploy.doctor` - the checks of `imsfeed doctor`
* :mod:`deploy.state` - the state database's schema: migrations, and the roles of the processes
* :mod:`deploy.demo`, :mod:`deploy.local` - the demo, and the servers that it and the tests start (extra ``local``)
* :mod:`deploy.kit` - writes the conformance kit for importers
* ``containers``, ``lock``, ``monitoring``, ``source`` - files without Python

No other package imports from here; the tests do.
"""
