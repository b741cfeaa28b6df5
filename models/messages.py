"""The one message between the rooms: it wakes a worker, the database says what to train."""

TASK, QUEUE = "kao.train", "train"
