"""The parts of the report page: drawings, pictures, tables, and the words around them."""
