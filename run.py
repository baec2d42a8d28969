"""The experiment command: `python run.py --help`."""

from fetal_lm.start import main

if __name__ == "__main__":
    main()
