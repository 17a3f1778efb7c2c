"""Scripts that show defects of released libraries without the kit; docs/findings explains them."""
