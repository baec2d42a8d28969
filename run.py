"""The experiment command: `python run.py --help`."""

from fetal_lm.train import main

if __name__ == "__main__":
    main()
