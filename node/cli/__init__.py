"""The command line, a command a file. A command reads flags and files, runs one operation and shows the result; what
the operation does stands in `node/operations`."""
