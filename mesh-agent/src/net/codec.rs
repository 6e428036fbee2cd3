//! How exchanges between members are written: one postcard message a direction, at most 64 KiB.

use everypath_protocol::codec;
use everypath_protocol::mesh::{BYTES_MAX, Request, Response};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;

/// The protocol's name on a connection.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/everypath/exchange/1");

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExchangeCodec;

async fn read<T: DeserializeOwned>(io: &mut (impl AsyncRead + Unpin + Send)) -> io::Result<T> {
    let limit = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // One byte more than allowed, so that a message that is too long is told from one that fits exactly.
    io.take(limit + 1).read_to_end(&mut bytes).await?;
    codec::decode(&bytes, BYTES_MAX).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
}

async fn write(io: &mut (impl AsyncWrite + Unpin + Send), message: &impl Serialize) -> io::Result<()> {
    let bytes = codec::encode(message);
    if bytes.len() > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an exchange of more than 64 KiB"));
    }
    io.write_all(&bytes).await
}

impl Codec for ExchangeCodec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Response;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &request).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: Response) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &response).await
    }
}
