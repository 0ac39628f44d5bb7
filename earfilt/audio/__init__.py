"""Audio files: what they are, their samples in and out, and the place where an output appears whole
or not at all.

::

    sniff, info      what a file holds, by its bytes       formats         which container holds what
    source, reader   blocks of samples in                  output_format   what an output will be
    decoder          libsndfile, read forwards             writer          blocks of samples out
    recordings       where the recordings of a file lie    speakers        masks, layouts, orders
    blocks           how many frames a codec's blocks hold
    containers/      chunks, frames and pages of each      metadata/       tags, and the stale ones
"""
