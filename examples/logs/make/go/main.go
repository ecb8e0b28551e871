// Runs zap and slog. Module: go.uber.org/zap. Usage: go run . zap > ../../zap/log.ndjson; go run . slog > ../../slog/log.ndjson
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// now is a clock that stands.
type now struct{ at time.Time }

func (n *now) Now() time.Time                         { return n.at }
func (n *now) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

func byZap() {
	clock := &now{start}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(os.Stdout), zap.InfoLevel)
	log := zap.New(core, zap.WithClock(clock))
	for n := 0; n < 24; n++ {
		clock.at = start.Add(time.Duration(n)*time.Second + 250*time.Millisecond)
		score := float64(50+(n*37)%50) / 100
		amount := float64(n) * 1.25
		if n == 6 {
			amount = math.NaN() // zap writes the text "NaN"
		}
		log.Info("prediction",
			zap.String("request_id", fmt.Sprintf("r-%d", n)),
			zap.String("model", "churn"),
			zap.Float64("score", score),
			zap.Float64("amount", amount),
			zap.Int("age", 18+n),
			zap.Duration("duration", time.Duration(900+n*731)*time.Microsecond))
		if n == 12 {
			log.Error("model failed", zap.Error(errors.New("no such tensor")))
		}
	}
}

func bySlog() {
	var at time.Time
	set := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Time(slog.TimeKey, at)
		}
		return a
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: set}))
	for n := 0; n < 24; n++ {
		at = start.Add(time.Duration(n)*time.Second + 250*time.Millisecond)
		log.Info("inference",
			slog.String("request_id", fmt.Sprintf("r-%d", n)),
			slog.Group("model", slog.String("name", "churn"), slog.String("version", "7")),
			slog.Group("input", slog.Int("age", 18+n), slog.Float64("amount", float64(n)*1.25)),
			slog.Group("output", slog.String("label", []string{"stays", "leaves"}[n%2]), slog.Float64("score", float64(50+(n*37)%50)/100)),
			slog.Duration("took", time.Duration(900+n*731)*time.Microsecond))
		if n == 12 {
			// Go's own log package, as a library beside the model server uses it.
			fmt.Println("2026/11/23 10:00:12 http: TLS handshake error from 10.0.0.9:43210: EOF")
		}
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "slog" {
		bySlog()
	} else {
		byZap()
	}
}
