package io.blackboxam.client;

import io.grpc.ServerBuilder;
import io.grpc.ServerCredentials;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import java.net.InetSocketAddress;

/** The only use of the transport itself: gRPC's own builder serves on all addresses. */
final class Netty {
    private Netty() {}

    static ServerBuilder<?> builder(InetSocketAddress address, ServerCredentials credentials) {
        return NettyServerBuilder.forAddress(address, credentials);
    }
}
