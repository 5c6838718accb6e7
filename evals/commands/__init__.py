"""The subcommands of ``td-gym``, one file each: ``add(subparsers)`` states the options, ``run(args)`` does the work."""
