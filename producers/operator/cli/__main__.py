"""`python -m producers.operator.cli` is `backroom`, wherever its script lies; so `backroom up` starts the others."""

from producers.operator.cli.main import main

main()
