"""One reader a source: the files on disk in, a DataSet of undecoded records out."""
