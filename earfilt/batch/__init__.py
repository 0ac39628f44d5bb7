"""A whole corpus in one command.

``search`` finds the files, ``plan`` says what becomes of each before anything is written, ``run``
does it on one of the ``executors`` and keeps the ``manifest``, from which a later run goes on.
Nothing here touches a sample; nothing here loads torch.
"""
