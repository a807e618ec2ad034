module github.com/praesenz/parley

go 1.26.8
