"""Records: data sets and their columns, read and checked; time and epochs."""
