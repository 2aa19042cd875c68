"""The maintenance of a home: integrity check, retention and backup."""
