use actix_web::web::Data;
use actix_web::{delete, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Block, BlockNote, NOTE, Pair, store};
use crate::App;
use crate::accounts;
use crate::auth::{As, Parties};
use crate::availability::schedule::Hit;
use crate::bookings::{self, Side};
use crate::cipher::Cipher;
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::http::{Cursor, Json, Limit, Page, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::AccountId;
use crate::therapists;
use crate::values::Instant;

/// The operations on blocks.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_blocks).service(create_block).service(delete_block);
}

/// Whom to block.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBlock {
    /// For a client a therapist; for a therapist a client who has booked or requested a visit with them.
    account_id: AccountId,
    note: Option<BlockNote>,
}

/// Whom the caller blocks.
#[derive(Serialize, ToSchema)]
struct BlockView {
    /// Who is blocked; names the block too.
    account_id: AccountId,
    #[schema(example = "Sam Okafor")]
    display_name: String,
    /// The caller's own note.
    note: Option<String>,
    /// Since when.
    created_at: DateTime<Utc>,
}

impl BlockView {
    fn new(block: Block, pair: Pair, display_name: String, cipher: &Cipher) -> Result<Self> {
        let note = block.note.map(|note| cipher.open(NOTE, pair.row(), &note)).transpose()?;
        Ok(Self { account_id: block.other, display_name, note, created_at: block.created_at })
    }
}

/// A new block, and the visits that stay booked all the same.
#[derive(Serialize, ToSchema)]
struct BlockMade {
    #[serde(flatten)]
    block: BlockView,
    /// Visits between the two that are still to come. They stay booked: calling one off is a step of its own.
    bookings: Vec<Hit>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BlockQuery {
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List blocks
///
/// Whom the caller blocks, oldest first. Nobody sees by whom they are blocked.
#[utoipa::path(tag = "Blocks", operation_id = "list_blocks", security(("bearer" = ["client", "therapist"])), params(BlockQuery),
    responses((status = 200, description = "A page of blocks.", body = Page<BlockView>)))]
#[get("/v1/me/blocks")]
async fn list_blocks(app: Data<App>, me: As<Parties>, Query(query): Query<BlockQuery>) -> Result<Reply> {
    let after = query.cursor.map(|cursor| cursor.key()).transpose()?.map(|(Instant(at), id)| (at, id));
    let found = store::list(&app.db, me.account(), after, query.limit.probe()).await?;
    let page = Page::cut(found, query.limit, |block| (block.created_at, block.other))?;
    let ids: Vec<AccountId> = page.data.iter().map(|block| block.other).collect();
    let mut names = accounts::names(&*app.db, &ids).await?;
    let views = page.data.into_iter().map(|block| {
        let pair = Pair::of(&me.principal, block.other);
        let name = names.remove(&block.other).unwrap_or_default();
        BlockView::new(block, pair, name, &app.cipher)
    });
    Reply::ok(&Page { data: views.collect::<Result<_>>()?, next_cursor: page.next_cursor })
}

/// Block someone
///
/// From now on nothing can be held, booked, accepted or moved between the two, and the client finds neither the therapist nor
/// their slots. The other side is not told, but whatever they try with the caller is refused as `blocked`. What is booked already stays booked, and is listed in the answer.
#[utoipa::path(tag = "Blocks", operation_id = "create_block", security(("bearer" = ["client", "therapist"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewBlock, responses((status = 201, description = "The block.", body = BlockMade,
     headers(("Location" = String, description = "Where the block can be taken away.")))),
    extensions(("x-refusals" = json!(refused![AlreadyBlocked]))))]
#[post("/v1/me/blocks")]
async fn create_block(
    app: Data<App>,
    me: As<Parties>,
    key: IdempotencyKey,
    Json(new, print): Json<NewBlock>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/me/blocks", key, print).await?;
        let pair = Pair::of(&me.principal, new.account_id);
        refuse_strangers(&mut work, pair).await?;
        // A booking that is being made between the two is either made before the block, and listed, or refused.
        work.lock_time(pair.therapist).await?;
        let now = app.clock.now();
        let note = new.note.map(|note| app.cipher.seal(NOTE, pair.row(), note.as_str())).transpose()?;
        if !store::insert(&mut work, pair, note.as_ref(), now).await? {
            return Err(Refusal::AlreadyBlocked.into());
        }
        let bookings = bookings::live_between(&mut work, pair.client, pair.therapist, now).await?;
        let name = accounts::names(&mut **work, &[new.account_id]).await?.remove(&new.account_id).unwrap_or_default();
        let block = Block { other: new.account_id, note, created_at: now };
        let made = BlockMade { block: BlockView::new(block, pair, name, &app.cipher)?, bookings };
        let reply = Reply::created(format!("/v1/me/blocks/{}", new.account_id), &made)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// A client may block any therapist, since all are public; a therapist those clients alone who wanted something of
/// them, so that nobody finds out who has an account.
async fn refuse_strangers(tx: &mut Tx, pair: Pair) -> Result<()> {
    let (known, detail) = match pair.by {
        Side::Client => (therapists::exists(&mut **tx, pair.therapist).await?, "is not a therapist."),
        Side::Therapist => {
            (bookings::met(tx, pair.client, pair.therapist).await?, "is nobody who has booked a visit with you.")
        }
    };
    if known { Ok(()) } else { Err(FieldError::new("/account_id", detail).into()) }
}

/// Take a block away
///
/// By the account that is blocked. Where the other side blocks the caller too, that block stays.
#[utoipa::path(tag = "Blocks", operation_id = "delete_block", security(("bearer" = ["client", "therapist"])),
    params(("id" = AccountId, Path, description = "Who is blocked.")),
    responses((status = 204, description = "The block is gone.")))]
#[delete("/v1/me/blocks/{id}")]
async fn delete_block(app: Data<App>, me: As<Parties>, Path(id): Path<AccountId>) -> Result<Reply> {
    uninterrupted(async move {
        let pair = Pair::of(&me.principal, id);
        let mut work = app.begin(Some(me.account())).await?;
        work.lock_time(pair.therapist).await?;
        let existed = store::delete(&mut work, pair).await?;
        work.commit().await?;
        if existed { Ok(Reply::none()) } else { Err(Error::NotFound) }
    })
    .await
}
