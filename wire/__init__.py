"""The ground floor: every record that leaves a process, with its fields, its bounds, its bytes and its digest.

Imports nothing of Hallmark; everything else may import it. No I/O, no clock, no trio. One idea a module: look for a
record by its name (`manifest`, `offer`, `inference`, `vote`, `certificate`, `receiptfile`, `network`), for an encoding
by its own (`canonical`, `cid`, `eip712`, `frames`, `tensors`). `arrays` alone needs numpy.
"""
