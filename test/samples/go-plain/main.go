package main

import "net/http"
import "os"

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("go " + r.URL.Path + "\n")) })
	http.ListenAndServe(":"+os.Getenv("PORT"), nil)
}
