module example.com/team/shop/v2

go 1.23

toolchain go1.24.2

require example.com/dep v1.0.0
