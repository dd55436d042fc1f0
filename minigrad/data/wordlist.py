"""A list of real words, to learn how English spells."""

import os

FILES = os.path.join(os.path.dirname(__file__), "files")


def words():
    """7917 English words of 4 to 7 lower-case letters a to z, in alphabetical order, as a list.

    A selection from SCOWL, (c) 2000-2011 Kevin Atkinson; notices in data/files/words.LICENSE.txt.
    """
    with open(os.path.join(FILES, "words.txt"), encoding="ascii") as file:
        return file.read().split()
