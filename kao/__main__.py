"""`python -m kao`: the command line."""

from kao.main import main

main()
