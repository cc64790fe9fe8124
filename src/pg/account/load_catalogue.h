#pragma once

#include "syncer/batch.h"
#include "syncer/catalogue.h"
#include "syncer/plan.h"

#include <string>

namespace pg {

/// Reads the catalogue tables. An endpoint that fills a table that does not exist (yet) says so in `missing_table`.
/// Only tables of schema kombo that `sync_role` owns and that are no members of the extension are written. Throws
/// syncer::InvalidRequest for rows that make no sense.
syncer::Catalogue load_catalogue(const std::string &category, unsigned sync_role);

/// Changes whenever what load_catalogue() reads does.
std::string catalogue_fingerprint();

/// Reads what is in force for one integration: an entry for every endpoint of the catalogue.
syncer::States load_states(const syncer::Catalogue &catalogue, const std::string &integration_id);

} // namespace pg
