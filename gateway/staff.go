package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/praesenz/parley/workflows"
)

// Bounds of the doors for staff and for events.
const (
	minToken     = 16              // characters
	staffTimeout = 5 * time.Second // of what one request asks of Temporal
	queryTimeout = 2 * time.Second // of one conversation's status
	queriesAside = 8               // statuses asked for at the same time
	maxCalls     = 100             // in a list
	maxLines     = 6               // of the transcript, in a list
	maxAnswer    = 4 << 10         // bytes
	maxEvent     = 16 << 10        // bytes
	maxBy        = 60              // characters
)

// What a door lets in a second, and at once. Wrong tokens are counted apart, so
// that whoever guesses keeps nobody out.
const (
	doorRate, doorBurst   = 20, 60
	wrongRate, wrongBurst = 1, 10
)

// masked stands for what a customer said of themselves.
const masked = "•••"

// flowName is what a flow can name a team or an event.
var flowName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,199}$`)

// The page on which staff answer.
//
//go:embed staff
var staffFiles embed.FS

func (g *Gateway) staffRoutes(r gin.IRouter) {
	if g.staff != nil {
		api := r.Group("/v1/staff", g.staff.guard)
		api.GET("/handoffs", g.listHandoffs)
		api.GET("/handoffs/:kiosk/:id", g.showHandoff)
		api.POST("/handoffs/:kiosk/:id", g.answerHandoff)
		api.GET("/events", g.tellStaff)
		files, err := fs.Sub(staffFiles, "staff")
		if err != nil {
			panic(err) // only for an invalid path, and this one is a constant
		}
		page := http.StripPrefix("/staff", http.FileServerFS(files))
		r.GET("/staff/*file", func(c *gin.Context) {
			securePage(c.Writer.Header())
			page.ServeHTTP(c.Writer, c.Request)
		})
	}
	if g.events != nil {
		r.POST("/v1/kiosks/:kiosk/events", g.events.guard, g.takeEvent)
	}
}

// A door lets in who has its token.
type door struct {
	name   string
	token  [sha256.Size]byte // a sum, so that comparing takes the same time for every length
	passes *rate.Limiter
	wrong  *rate.Limiter
	meters *meters
}

func newDoor(g *Gateway, name, token string) *door {
	return &door{
		name: name, token: sha256.Sum256([]byte(token)), meters: g.meters,
		passes: rate.NewLimiter(doorRate, doorBurst), wrong: rate.NewLimiter(wrongRate, wrongBurst),
	}
}

func (d *door) guard(c *gin.Context) {
	defer func() { d.meters.requests.WithLabelValues(d.name, strconv.Itoa(c.Writer.Status())).Inc() }()
	c.Header("Cache-Control", "no-store") // what customers said
	c.Header("X-Content-Type-Options", "nosniff")
	bearer, _ := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
	given := sha256.Sum256([]byte(bearer))
	if subtle.ConstantTimeCompare(given[:], d.token[:]) != 1 {
		if !d.wrong.Allow() {
			sayLater(c, http.StatusTooManyRequests, "too many wrong tokens; wait a second")
			return
		}
		c.Header("WWW-Authenticate", "Bearer")
		say(c, http.StatusUnauthorized, "the token is not valid here; send the "+d.name+" token as Authorization: Bearer …")
		return
	}
	if !d.passes.Allow() {
		sayLater(c, http.StatusTooManyRequests, "too many requests; wait a second")
		return
	}
	c.Next()
}

// say answers a request that is refused, in words for people.
func say(c *gin.Context, code int, message string) {
	c.AbortWithStatusJSON(code, gin.H{"error": message})
}

// sayLater is for what may be taken in a second.
func sayLater(c *gin.Context, code int, message string) {
	c.Header("Retry-After", "1")
	say(c, code, message)
}

// A staffCall is a conversation's call for staff, as staff learn of it.
type staffCall struct {
	ID         string      `json:"id"`
	Store      string      `json:"store"`
	Kiosk      string      `json:"kiosk"`
	Name       string      `json:"name"` // the kiosk's, for people
	Team       string      `json:"team"`
	Flow       string      `json:"flow"`
	Step       string      `json:"step"`
	Language   string      `json:"language"` // BCP 47: the customer's
	Since      time.Time   `json:"since"`
	Until      time.Time   `json:"until"` // then the conversation goes on without staff
	Summary    string      `json:"summary,omitempty"`
	Transcript []staffLine `json:"transcript"` // in a list its last lines
}

type staffLine struct {
	By   string `json:"by"` // "customer" or "kiosk"
	Text string `json:"text"`
	How  string `json:"how,omitempty"` // spoken, typed or touched
	Cut  bool   `json:"cut,omitempty"` // the customer interrupted; Text is what was heard
}

// call asks a kiosk's conversation for its call for staff; nil when there is
// none.
func (g *Gateway) call(ctx context.Context, kiosk string) (*staffCall, error) {
	s, err := g.status(ctx, g.cfg.Store, kiosk)
	if err != nil || s == nil || s.Handoff == nil {
		return nil, err
	}
	call := &staffCall{
		ID: s.Handoff.ID, Store: g.cfg.Store, Kiosk: kiosk, Name: kiosk, Team: s.Handoff.Team, Flow: s.Flow, Step: s.Handoff.Step,
		Language: s.Language, Since: s.Handoff.Since.UTC(), Until: s.Handoff.Until.UTC(), Summary: s.Handoff.Summary,
		Transcript: make([]staffLine, len(s.Transcript)),
	}
	if about, err := g.cfg.About(ctx, g.cfg.Store, kiosk); err == nil && about.Name != "" {
		call.Name = about.Name
	}
	for i, line := range s.Transcript {
		call.Transcript[i] = staffLine{By: line.By, Text: line.Text, How: line.How, Cut: line.Cut}
		if line.Sensitive {
			call.Transcript[i].Text = masked
		}
	}
	return call, nil
}

// calls are those of a store's conversations that call for staff now.
type calls struct {
	Handoffs []staffCall `json:"handoffs"` // the longest waiting first, with the last lines of their transcripts
	More     bool        `json:"more"`     // there are more than a list holds
	// Unread are kiosks that call for staff but whose conversations cannot be asked
	// now.
	Unread []string `json:"unread"`
}

// callsNow finds them. Temporal's index says where to ask, and each conversation
// whether it is still so, because the index is a moment late.
func (g *Gateway) callsNow(ctx context.Context, team string) (calls, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, staffTimeout, fmt.Errorf("Temporal did not answer within %s", staffTimeout))
	defer cancel()
	query := fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running' AND %s = '%s' AND %s IS NOT NULL",
		workflows.ConversationType, workflows.AttributeStore.GetName(), strings.ReplaceAll(g.cfg.Store, "'", ""), workflows.AttributeHandoff.GetName())
	if team != "" {
		query += fmt.Sprintf(" AND %s = '%s'", workflows.AttributeHandoff.GetName(), team)
	}
	page, err := g.cfg.Temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: maxCalls})
	if err != nil {
		return calls{}, fmt.Errorf("list conversations: %w", err)
	}
	found := calls{Handoffs: []staffCall{}, Unread: []string{}, More: len(page.GetNextPageToken()) > 0}
	var mu sync.Mutex
	var ask errgroup.Group
	ask.SetLimit(queriesAside)
	for _, e := range page.GetExecutions() {
		kiosk, ok := strings.CutPrefix(e.GetExecution().GetWorkflowId(), workflows.ConversationID(g.cfg.Store, ""))
		if !ok {
			continue
		}
		ask.Go(func() error {
			call, err := g.call(ctx, kiosk)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				g.log.Warn("call for staff cannot be read", "store", g.cfg.Store, "kiosk", kiosk, "error", err)
				found.Unread = append(found.Unread, kiosk)
			case call != nil && (team == "" || call.Team == team):
				call.Transcript = call.Transcript[max(0, len(call.Transcript)-maxLines):]
				found.Handoffs = append(found.Handoffs, *call)
			}
			return nil
		})
	}
	_ = ask.Wait() // each has noted its own error
	slices.SortFunc(found.Handoffs, func(a, b staffCall) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.Kiosk, b.Kiosk)
	})
	slices.Sort(found.Unread)
	return found, nil
}

func (g *Gateway) listHandoffs(c *gin.Context) {
	team := c.Query("team")
	if team != "" && !flowName.MatchString(team) {
		say(c, http.StatusBadRequest, "team: write a team's name as the flow has it")
		return
	}
	found, err := g.callsNow(c.Request.Context(), team)
	if err != nil {
		g.unavailable(c, err)
		return
	}
	c.JSON(http.StatusOK, found)
}

func (g *Gateway) showHandoff(c *gin.Context) {
	if !g.knows(c) {
		return
	}
	call, err := g.call(c.Request.Context(), c.Param("kiosk"))
	switch {
	case err != nil:
		g.unavailable(c, err)
	case call == nil || call.ID != c.Param("id"):
		say(c, http.StatusGone, "this call for staff is over: it was answered, or it ran out, or the customer has left")
	default:
		c.JSON(http.StatusOK, call)
	}
}

// answerHandoff tells a conversation what staff say. The same answer of the same
// person may be sent again: it is taken once.
func (g *Gateway) answerHandoff(c *gin.Context) {
	var in struct {
		Answer string `json:"answer"`
		By     string `json:"by"`
	}
	if err := readJSON(c, maxAnswer, &in); err != nil {
		say(c, http.StatusBadRequest, err.Error())
		return
	}
	in.By = strings.TrimSpace(in.By)
	switch {
	case in.Answer != "accept" && in.Answer != "decline":
		say(c, http.StatusBadRequest, `answer: write "accept" or "decline"`)
		return
	case in.By == "" || utf8.RuneCountInString(in.By) > maxBy || strings.ContainsFunc(in.By, unicode.IsControl):
		say(c, http.StatusBadRequest, fmt.Sprintf("by: write who answers, in at most %d characters", maxBy))
		return
	case !g.knows(c):
		return
	}
	kiosk, id := c.Param("kiosk"), c.Param("id")
	ctx, cancel := context.WithTimeoutCause(c.Request.Context(), staffTimeout, fmt.Errorf("no answer within %s", staffTimeout))
	defer cancel()
	err := g.tellAnswer(ctx, kiosk, workflows.HandoffAnswer{ID: id, Accept: in.Answer == "accept", By: in.By})
	var none *serviceerror.NotFound
	var refused *temporal.ApplicationError
	switch {
	case err == nil:
		g.log.Info("call for staff answered", "store", g.cfg.Store, "kiosk", kiosk, "handoff", id, "answer", in.Answer)
		g.desk.lookAgain()
		c.JSON(http.StatusOK, gin.H{"id": id, "kiosk": kiosk, "answer": in.Answer, "by": in.By})
	case errors.As(err, &none):
		say(c, http.StatusGone, "the conversation is over: the customer has left")
	case errors.As(err, &refused) && refused.Type() == workflows.HandoffOver:
		say(c, http.StatusGone, refused.Message())
	case errors.As(err, &refused):
		say(c, http.StatusConflict, refused.Message())
	default:
		g.unavailable(c, err)
	}
}

func (g *Gateway) tellAnswer(ctx context.Context, kiosk string, a workflows.HandoffAnswer) error {
	handle, err := g.cfg.Temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		UpdateID:     fmt.Sprintf("%s/%t/%s", a.ID, a.Accept, a.By),
		WorkflowID:   workflows.ConversationID(g.cfg.Store, kiosk),
		UpdateName:   workflows.HandoffUpdate,
		Args:         []any{a},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return fmt.Errorf("answer kiosk %s: %w", kiosk, err)
	}
	if err := handle.Get(ctx, nil); err != nil {
		return fmt.Errorf("answer kiosk %s: %w", kiosk, err)
	}
	return nil
}

// takeEvent tells a kiosk's conversation of something outside it.
func (g *Gateway) takeEvent(c *gin.Context) {
	var in struct {
		Name string          `json:"name"`
		Data json.RawMessage `json:"data"`
	}
	if err := readJSON(c, maxEvent, &in); err != nil {
		say(c, http.StatusBadRequest, err.Error())
		return
	}
	if !flowName.MatchString(in.Name) {
		say(c, http.StatusBadRequest, "name: write the event's name as the flow's `wait` has it: lower-case letters, digits and _, beginning with a letter")
		return
	}
	if !g.knows(c) {
		return
	}
	ctx, cancel := context.WithTimeoutCause(c.Request.Context(), staffTimeout, fmt.Errorf("Temporal did not answer within %s", staffTimeout))
	defer cancel()
	event := workflows.Event{Name: in.Name}
	if in.Data != nil {
		event.Data = in.Data
	}
	err := g.cfg.Temporal.SignalWorkflow(ctx, workflows.ConversationID(g.cfg.Store, c.Param("kiosk")), "", workflows.EventSignal, event)
	var none *serviceerror.NotFound
	switch {
	case err == nil:
		c.JSON(http.StatusAccepted, gin.H{"accepted": in.Name})
	case errors.As(err, &none):
		say(c, http.StatusNotFound, "nobody is talking to this kiosk")
	default:
		g.unavailable(c, err)
	}
}

// knows answers a request for a kiosk that the store does not have.
func (g *Gateway) knows(c *gin.Context) bool {
	ctx, cancel := context.WithTimeout(c.Request.Context(), aboutTimeout)
	defer cancel()
	_, err := g.cfg.About(ctx, g.cfg.Store, c.Param("kiosk"))
	switch {
	case errors.Is(err, ErrUnknownKiosk):
		say(c, http.StatusNotFound, fmt.Sprintf("store %s has no kiosk %s", g.cfg.Store, c.Param("kiosk")))
	case err != nil:
		g.unavailable(c, err)
	}
	return err == nil
}

// unavailable answers a request that could not be carried out now.
func (g *Gateway) unavailable(c *gin.Context, err error) {
	g.log.Error("request not carried out", "path", c.FullPath(), "store", g.cfg.Store, "kiosk", c.Param("kiosk"), "error", err)
	sayLater(c, http.StatusServiceUnavailable, "the conversations cannot be reached now; try again")
}

// readJSON reads a request's body: one JSON value with known fields only.
func readJSON(c *gin.Context, most int64, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, most))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more after it")
		}
	}
	var long *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &long):
		return fmt.Errorf("the body is longer than %d bytes", most)
	}
	return fmt.Errorf("the body is not the JSON object that is meant: %w", err)
}
