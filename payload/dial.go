package payload

import (
	"context"
	"errors"
	"log/slog"

	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// DialOptions make a Temporal client seal all that it sends and open all that it
// receives: inputs, results, signals, queries, updates, memos, summaries and
// details, heartbeats, and the messages and stack traces of failures. Search
// attributes, ids and the names of types stay readable, because Temporal works
// with them.
//
// It is done on the wire and not by the client's data converter, so that a task
// that cannot be opened is never begun: a converter that fails drops signals and
// fails workflows. Temporal hands such a task out again until a worker with the
// key takes it; the worker without it logs an error each time, and ends when for
// two minutes it has got nothing else.
//
// With nil keys nothing is sealed, and what is sealed is refused in the same way.
func DialOptions(keys *Keys, logger *slog.Logger) ([]grpc.DialOption, error) {
	payloads, err := converter.NewPayloadCodecGRPCClientInterceptor(
		converter.PayloadCodecGRPCClientInterceptorOptions{Codecs: []converter.PayloadCodec{NewCodec(keys)}})
	if err != nil {
		return nil, err
	}
	if keys == nil {
		return []grpc.DialOption{grpc.WithChainUnaryInterceptor(refusing(logger), payloads)}, nil
	}
	failures, err := converter.NewFailureGRPCClientInterceptor(converter.NewFailureGRPCClientInterceptorOptions{EncodeCommonAttributes: true})
	if err != nil {
		return nil, err
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(refusing(logger), copying, failures, payloads)}, nil
}

// copying keeps the request that the SDK made as it is: the interceptors after it
// seal in place, and a request that is sent again would be sealed twice.
func copying(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if m, ok := req.(proto.Message); ok {
		req = proto.Clone(m)
	}
	return invoker(ctx, method, req, reply, cc, opts...)
}

// refusing turns a payload that cannot be opened into the status that the SDK
// takes for lasting, and says so.
func refusing(logger *slog.Logger) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoker(ctx, method, req, reply, cc, opts...)
		if !errors.Is(err, ErrUnopened) {
			return err
		}
		logger.Error("payload not opened", "call", method, "error", err)
		return status.Error(codes.InvalidArgument, err.Error())
	}
}
