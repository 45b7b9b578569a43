"""Building a seller's image: reading its Dockerfile, the limited room that it runs in, the build, the push."""
