package gateway

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// maxPicture is the most that a file of a screen may have, in bytes; larger ones
// would keep a customer waiting.
const maxPicture = 8 << 20

// pictureTypes are the files that a screen may show, by how their names end.
var pictureTypes = map[string]string{
	".png":  "image/png",
	".jpg":  "image/jpeg",
	".jpeg": "image/jpeg",
	".webp": "image/webp",
	".gif":  "image/gif",
	".svg":  "image/svg+xml",
}

// pictureSecurity keeps a file that is opened by itself from doing anything: an
// SVG may hold script.
const pictureSecurity = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"

// mediaAddress is where a kiosk gets a file of its store ("media/a4.jpg"),
// relative to the page.
func mediaAddress(file string) (string, error) {
	if err := checkMedia(file); err != nil {
		return "", err
	}
	return "store/" + (&url.URL{Path: file}).EscapedPath(), nil
}

func mapAddress(file string) (string, error) {
	if path.Ext(file) != ".svg" {
		return "", fmt.Errorf("map %q: must be an SVG whose name ends in .svg", file)
	}
	return mediaAddress(file)
}

// checkMedia tells whether a file may be served, by its name.
func checkMedia(file string) error {
	hidden := slices.ContainsFunc(strings.Split(file, "/"), func(part string) bool { return strings.HasPrefix(part, ".") })
	if !fs.ValidPath(file) || !strings.HasPrefix(file, "media/") || hidden || strings.Contains(file, "\\") {
		return fmt.Errorf("file %q: must be in the store's folder media, like \"media/a4.jpg\"", file)
	}
	if pictureTypes[path.Ext(file)] == "" {
		return fmt.Errorf("file %q: must end in .png, .jpg, .jpeg, .webp, .gif or .svg", file)
	}
	return nil
}

// storeMedia serves the files that screens show.
func (g *Gateway) storeMedia(c *gin.Context) {
	file := "media" + c.Param("file")
	if err := checkMedia(file); err != nil {
		c.String(http.StatusNotFound, err.Error())
		return
	}
	f, err := os.OpenInRoot(g.cfg.Media, strings.TrimPrefix(file, "media/"))
	if err != nil {
		c.String(http.StatusNotFound, "the store has no file %s", file)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPicture {
		g.log.Warn("file not served; it must be a regular one of at most 8 MiB", "file", file, "error", err)
		c.String(http.StatusNotFound, "%s cannot be served; it must be a file of at most 8 MiB", file)
		return
	}
	h := c.Writer.Header()
	h.Set("Content-Type", pictureTypes[path.Ext(file)])
	h.Set("Content-Security-Policy", pictureSecurity)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=60") // an edited map is there within a minute
	h.Add("Vary", "Origin")
	if origin := c.GetHeader("Origin"); slices.Contains(g.cfg.Origins, origin) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
	http.ServeContent(c.Writer, c.Request, "", info.ModTime(), f)
}
