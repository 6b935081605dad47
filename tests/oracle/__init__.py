"""Rows are written from outside all the time, while everything that people do to a project is done to it.

At the end every acknowledged row has to be where its checkout finds it. The oracle knows nothing of the
decisions that scaffold makes: it types commands, does what their messages say, and counts.
"""
