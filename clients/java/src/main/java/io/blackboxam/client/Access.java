package io.blackboxam.client;

import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Locale;

/** How a client connects: encryption, certificates, token. Null where not chosen. */
record Access(String token, boolean tls, File ca, File certificate, File key) {

    /** The credentials of a channel to target; checks that the settings fit together. */
    ChannelCredentials credentials(String target) {
        if (token != null && !tls && !isLoopback(target)) {
            throw new BlackboxException.InvalidInput("a token for " + target + " would be sent "
                    + "unencrypted; use TLS, or an address of this machine").withField("token");
        }
        if (!tls) {
            if (certificate != null || key != null) {
                throw new BlackboxException.InvalidInput("a client's certificate needs TLS; call "
                        + "tls() or ca(...)").withField("certificate");
            }
            return InsecureChannelCredentials.create();
        }
        TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
        try {
            if (ca != null) {
                builder.trustManager(ca);
            }
            if (certificate != null || key != null) {
                builder.keyManager(certificate, key);
            }
        } catch (IOException | IllegalArgumentException | NullPointerException error) {
            throw new BlackboxException.InvalidInput("expected certificates in PEM, and a key for "
                    + "a client's certificate: " + error.getMessage()).withField("tls");
        }
        return builder.build();
    }

    /** Adds the token to every call. */
    ClientInterceptor interceptor() {
        Metadata headers = new Metadata();
        if (token != null) {
            headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
                    "Bearer " + token);
        }
        return MetadataUtils.newAttachHeadersInterceptor(headers);
    }

    static boolean isLoopback(String target) {
        if (target.startsWith("unix:")) {
            return true;
        }
        String address = target.startsWith("dns:///") ? target.substring("dns:///".length()) : target;
        if (address.matches(".*[/@,#?].*")) {
            return false; // it names more than one host
        }
        boolean port = address.indexOf(':') == address.lastIndexOf(':') || address.startsWith("[");
        int colon = address.lastIndexOf(':');
        String host = port && colon > address.lastIndexOf(']') ? address.substring(0, colon) : address;
        host = host.replaceAll("[\\[\\]]", "").replaceAll("\\.$", "").toLowerCase(Locale.ROOT);
        if (host.equals("localhost") || host.endsWith(".localhost")) {
            return true;
        }
        if (!host.matches("[0-9.]+|[0-9a-f:]+:[0-9a-f:.]*")) {
            return false; // a name: looking it up would say what an address is only now
        }
        try {
            return InetAddress.getByName(host).isLoopbackAddress();
        } catch (UnknownHostException wrong) {
            return false;
        }
    }
}
