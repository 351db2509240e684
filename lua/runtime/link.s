// An assembly file lets this package declare a function without a body; see protect.go.
